"""What a run will cost: steps, batches, parameters, memory. Pure arithmetic: never imports torch."""

from muomni.plan.memory import GIB, Memory, peak_memory
from muomni.plan.parameters import count_parameters, parameters_by_part
from muomni.plan.planner import MEMORY_GIB, PLANNED, Plan, plan
from muomni.plan.schedule import epoch_choice, learning_rate

__all__ = [
    "GIB",
    "MEMORY_GIB",
    "PLANNED",
    "Memory",
    "Plan",
    "count_parameters",
    "epoch_choice",
    "learning_rate",
    "parameters_by_part",
    "peak_memory",
    "plan",
]
