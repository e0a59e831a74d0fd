"""Reading a config: aliases, notes, and one clear error for each thing wrong, all at once."""

import json
from pathlib import Path

import pytest

from muomni.config import STAGES, ConfigError, check_values, disagreements, parse_setting, read_config, with_changes
from muomni.errors import UserError


def write(folder: Path, text: str | bytes, name: str = "thinker_mine.json") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def error_of(folder: Path, text: str | bytes, name: str = "thinker_mine.json") -> str:
    path = write(folder, text, name)
    with pytest.raises(UserError) as caught:
        read_config(path)
    assert str(path) in str(caught.value)
    return str(caught.value).replace(str(path), name)


@pytest.mark.parametrize(
    ("stage", "alias", "name", "value"),
    [
        ("thinker", "learning_rate", "lr", 1e-3),
        ("thinker", "num_epochs", "max_epochs", 3),
        ("thinker", "weight_decay", "wd", 0.2),
        ("thinker", "eval_every", "val_freq", 7),
        ("thinker", "save_every", "checkpoint_freq", 9),
        ("thinker", "checkpoint_dir", "save_dir", "x"),
        ("thinker", "data_path", "train_text", "a.txt"),
        ("vision", "data_path", "train_manifest", "a.json"),
        ("audio_enc", "data_path", "train_csv", "a.csv"),
        ("vocoder", "data_path", "train_csv", "a.csv"),
        ("ocr", "data_path", "train_csv", "a.csv"),
        ("talker", "data_path", "tts_csv", "a.csv"),
        ("omni_sft", "data_path", "sft_mix", {"text": 1.0}),
    ],
)
def test_an_alias_sets_the_field_it_stands_for(
    tmp_path: Path, stage: str, alias: str, name: str, value: object
) -> None:
    file = read_config(write(tmp_path, json.dumps({alias: value}), f"{stage}_x.json"))
    assert getattr(file.config, name) == value


def test_a_name_and_its_alias_together_are_a_mistake(tmp_path: Path) -> None:
    assert "learning_rate: says lr a second time" in error_of(tmp_path, '{"lr": 0.1, "learning_rate": 0.2}')


def test_all_problems_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    text = '{\n "batch_size": "16",\n "d_ff": 0,\n "n_kv_heads": 3,\n "ctx_lenn": 9,\n "lr": NaN,\n'
    text += ' "seed": 1,\n "seed": 2\n}'
    lines = error_of(tmp_path, text).splitlines()
    assert sorted(line.split(": ")[0] + " " + line.split(": ")[1] for line in lines) == [
        "thinker_mine.json:2 batch_size",
        "thinker_mine.json:3 d_ff",
        "thinker_mine.json:4 n_kv_heads",
        "thinker_mine.json:5 ctx_lenn",
        "thinker_mine.json:6 lr",
        "thinker_mine.json:8 seed",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"batch_size": "16"}', 'batch_size: is "16"; allowed is a whole number from 1 to 65536 (examples)'),
        ('{"batch_size": 16.0}', "is 16.0; allowed is a whole number"),
        ('{"batch_size": true}', "is true; allowed is a whole number"),
        ('{"batch_size": null}', "is null; allowed is a whole number"),
        ('{"lr": 2}', "lr: is 2; allowed is a number from 1e-07 to 1"),
        ('{"dropout": 1.5}', "dropout: is 1.5; allowed is a number from 0 to 0.9"),
        ('{"use_amp": 1}', "use_amp: is 1; allowed is true or false"),
        ('{"documents": "pages"}', 'allowed is one of "lines", "paragraphs"'),
        ('{"tokenizer": ""}', "tokenizer: is '', which names no file"),
        ('{"tokenizer": "a\\u0000b"}', "which names no file"),
        ('{"batch_siz": 16}', 'did you mean "batch_size"?'),
        ('{"learning_rat": 1}', 'did you mean "learning_rate"?'),
        ('{"n_heads": 3}', "is 3, which does not divide d_model 256; it divides by 1, 2, 4, 8, 16, 32, 64, 128"),
        ('{"n_kv_heads": 3}', "is 3, which does not divide n_heads 4; it may be 1, 2, 4"),
        ('{"n_kv_heads": 1, "token_shift": true}', "n_kv_heads: is 1, which has no halves for token_shift"),
        ('{"warmup_steps": 500, "max_steps": 100}', "warmup_steps: is 500, longer than the run: max_steps is 100"),
        ('{"n_experts": 2, "experts_per_token": 3}', "is 3, more than n_experts 2"),
        ('{"lr": Infinity}', "lr: is Infinity; allowed is"),
        ('{"lr": 1e999}', "lr: is Infinity; allowed is"),
        ('{"_note": NaN}', "_note: is NaN; JSON has no NaN"),
        ('{"lr": 0.1 // fast\n}', "remove it, or keep it as a note"),
        ('{"lr": 0.1, /* fast */ "seed": 1}', "JSON has no // comments"),
        ('{"lr": 0.1,}', "Remove the comma before the closing bracket."),
        ("{'lr': 0.1}", "JSON uses double quotes."),
        ('{"lr": 0.1', "The file ends too early"),
        ('{"lr" 0.1}', "Look just before this place"),
        ("", "The file is empty."),
        ("[1, 2]", "holds [1, 2]; a config is a JSON object"),
        ('{"lr": 1, "lr": 2}', "lr: stands twice in the file"),
        ('{"stage": "thinkerr"}', 'stage: is "thinkerr"; allowed is one of thinker, audio_enc'),
        ('{"stage": []}', "stage: is []; allowed is one of"),
        (b"\x00\x00", "NUL bytes"),
        (b'{"_a": "\xff"}', "is not UTF-8 at byte 8"),
        ('{"_a": "\\ud800"}', "is no JSON that can be read"),
        ('{"_a": ' + "[" * 100_000, "nested too deeply"),
        ('{"batch_size": 1' + "0" * 5000 + "}", "is no JSON that can be read"),
        ("{" + " " * (1 << 20) + "}", "is 1048578 bytes long; a config has at most 1048576"),
    ],
)
def test_a_mistake_is_told_with_what_is_allowed(tmp_path: Path, text: str | bytes, said: str) -> None:
    assert said in error_of(tmp_path, text)


def test_broken_json_is_told_with_line_and_column(tmp_path: Path) -> None:
    assert error_of(tmp_path, '{\n  "lr": 0.1,\n  "seed" 3\n}').startswith(
        "thinker_mine.json:3: is no JSON: expecting ':' delimiter at column 10."
    )


@pytest.mark.parametrize(
    ("stage", "text", "said"),
    [
        (
            "vision",
            '{"img_size": 100, "patch": 16}',
            "patch: is 16, which does not divide img_size 100; it may be 1, 2",
        ),
        ("audio_enc", '{"hop_length": 2048}', "hop_length: is 2048, longer than the window n_fft 1024"),
        ("talker", '{"n_fft": 128}', "n_mels: is 128, more bands than n_fft 128 has frequencies; at most 64"),
        ("vocoder", '{"max_audio_length": 8000}', "no multiple of hop_length 256"),
        ("vocoder", '{"max_audio_length": 512}', "shorter than one window"),
        ("vocoder", '{"lr": 0.1}', 'did you mean "lr_g"?'),
        ("omni_sft", '{"ctx_len": 128}', "a picture alone takes 196 tokens"),
        ("omni_sft", '{"sft_mix": {"text": -1}}', "weights are 0 or more, at least one above 0"),
        ("omni_sft", '{"sft_mix": {"text": 0}}', "at least one above 0"),
        ("omni_sft", '{"sft_mix": {"text": NaN}}', "weights are 0 or more"),
        ("omni_sft", '{"sft_mix": {"text": "much"}}', "allowed is an object of task names and weights"),
        ("ocr", '{"decoder_heads": 3}', "does not divide decoder_d_model 256"),
    ],
)
def test_rules_over_several_settings(tmp_path: Path, stage: str, text: str, said: str) -> None:
    assert said in error_of(tmp_path, text, f"{stage}_x.json")


def test_a_rule_keeps_quiet_about_a_setting_that_is_itself_wrong(tmp_path: Path) -> None:
    assert len(error_of(tmp_path, '{"n_heads": "four", "n_kv_heads": 3}').splitlines()) == 1


def test_a_file_with_thousands_of_wrong_settings_is_told_briefly(tmp_path: Path) -> None:
    many = json.dumps({f"a{n}": 1 for n in range(20_000)})
    assert len(error_of(tmp_path, many).splitlines()) == 50


def test_a_missing_file_names_its_neighbour(tmp_path: Path) -> None:
    write(tmp_path, "{}", "thinker_tiny.json")
    with pytest.raises(UserError, match=r"thinker_tinny\.json: does not exist\. Did you mean thinker_tiny\.json\?"):
        read_config(tmp_path / "thinker_tinny.json")


def test_a_folder_and_a_file_without_a_stage_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a folder; a JSON file is expected"):
        read_config(tmp_path)
    assert "does not say its stage" in error_of(tmp_path, "{}", "mine.json")


def test_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    file = read_config(write(tmp_path, b'\xef\xbb\xbf{\r\n  "seed": 5\r\n}\r\n'))
    assert file.config.seed == 5


def test_the_stage_said_in_the_file_goes_before_its_name(tmp_path: Path) -> None:
    assert read_config(write(tmp_path, '{"stage": "ocr"}')).stage == "ocr"


@pytest.mark.parametrize("stage", STAGES)
def test_changes_are_checked_as_a_whole(stage: str) -> None:
    config = STAGES[stage]()
    assert with_changes(config, {"num_epochs": 3}).max_epochs == 3
    with pytest.raises(ConfigError) as caught:
        with_changes(config, {"batch_size": 0, "warmup_steps": 11, "max_steps": 10, "nonsense": 1})
    assert [problem.field for problem in caught.value.problems] == ["nonsense", "batch_size", "warmup_steps"]


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("lr=0.01", ("lr", 0.01)),
        ("learning_rate=1", ("lr", 1.0)),
        ("use_amp=false", ("use_amp", False)),
        ("save_dir=a=b", ("save_dir", "a=b")),
        (" n_layers = 2", ("n_layers", 2)),
        ("n_layers=two", ("n_layers", "two")),
        ("save_dir=123", ("save_dir", "123")),
        ("n_layers=" + "[" * 100_000, ("n_layers", "[" * 100_000)),
    ],
)
def test_a_setting_typed_on_the_command_line(text: str, pair: tuple[str, object]) -> None:
    assert parse_setting("thinker", text) == pair


@pytest.mark.parametrize(("text", "said"), [("lr", "not of the form key=value"), ("lrr=1", 'did you mean "lr"?')])
def test_a_setting_typed_wrongly_is_bad_usage(text: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_setting("thinker", text)
    assert said in str(caught.value) and caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("stage", "change", "follower", "field"),
    [
        ("thinker", {"vocab_size": 512}, "audio_enc", "vocab_size"),
        ("thinker", {"vocab_size": 512}, "vision", "vocab_size"),
        ("thinker", {"vocab_size": 512}, "talker", "vocab_size"),
        ("thinker", {"vocab_size": 512}, "omni_sft", "vocab_size"),
        ("thinker", {"tokenizer": "b"}, "omni_sft", "tokenizer"),
        ("thinker", {"d_model": 512}, "talker", "thinker_d_model"),
        ("thinker", {"n_layers": 2}, "omni_sft", "n_layers"),
        ("audio_enc", {"d_ff": 512}, "omni_sft", "audio_d_ff"),
        ("vision", {"patch": 32}, "omni_sft", "patch"),
        ("talker", {"n_mels": 80}, "vocoder", "n_mels"),
    ],
)
def test_configs_that_do_not_fit_together_are_told(
    stage: str, change: dict[str, object], follower: str, field: str
) -> None:
    tiny = Path(__file__).parent.parent / "configs"
    configs = {name: read_config(tiny / f"{name}_tiny.json").config for name in STAGES}
    configs[stage] = with_changes(configs[stage], change)
    found = disagreements(configs)
    assert field in [problem.field for problem in found[follower]]
    message = next(problem.message for problem in found[follower] if problem.field == field)
    assert repr(next(iter(change.values()))) in message and stage in message


def test_unknown_values_never_make_a_config() -> None:
    config, problems = check_values("thinker", {"batch_size": [], "lr": {}, "use_amp": "yes"})
    assert config is None and {problem.field for problem in problems} == {"batch_size", "lr", "use_amp"}
