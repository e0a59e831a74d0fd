#!/bin/sh
# Prints the first Python that can make μOmni's environment: 3.11 or newer, with `venv` and `ensurepip`.
# One given by name (`make lab PYTHON=...`) is taken or refused, never replaced by another.
able='import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))'
version='import sys; print(*sys.version_info[:2], sep=".")'

given=$1
seen=
without_venv=
for candidate in ${given:-python3 python3.11 python3.12 python3.13 python}; do
    # A version manager's shim can be on the path and still run nothing, so each one is asked, not looked up.
    found=$("$candidate" -c "$version" 2>/dev/null) || continue
    if "$candidate" -c "$able" >/dev/null 2>&1; then
        echo "$candidate"
        exit 0
    fi
    seen="$seen $candidate ($found)"
    case $found in 3.1[1-9] | 3.[2-9][0-9]) without_venv=$found ;; esac
done

{
    if [ -n "$without_venv" ]; then
        echo "Python $without_venv is here, but its 'venv' module is not complete."
        echo "On Debian and Ubuntu: sudo apt-get install python3-venv"
    elif [ -n "$seen" ]; then
        echo "μOmni needs Python 3.11 or newer; found:$seen."
    else
        echo "μOmni needs Python 3.11 or newer; ${given:-python3} does not run."
    fi
    echo "Name another one with: make PYTHON=/path/to/python3.11 ..."
} >&2
exit 1
