#!/bin/sh
# Chromium for the browser tests, from the distribution's packages. Does nothing when one is there already, and never
# fails: without a browser those tests are skipped, and say so. MUOMNI_INSTALL_BROWSER=0 leaves the system untouched.
for name in chromium chromium-browser google-chrome; do
    command -v "$name" >/dev/null 2>&1 && exit 0
done

if [ "${MUOMNI_INSTALL_BROWSER:-1}" != 0 ] && [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing Chromium for the browser tests."
    export DEBIAN_FRONTEND=noninteractive
    if apt-get update -qq >/dev/null && apt-get install -y -qq --no-install-recommends chromium >/dev/null; then
        exit 0
    fi
    echo "Chromium could not be installed."
fi
echo "No Chromium here: the browser tests will be skipped. To run them, install it first: sudo apt-get install chromium"
