#!/bin/sh
# install.sh ROLE WHEELS FOLDER [PACKAGE...]: the package for a role in a virtual environment FOLDER/venv.
# Every image of the Dockerfile is made by it; it needs Python 3.11 and a package index, and no root.
#   ROLE     extras of the package, such as serve, or team,sweeps
#   WHEELS   the folder of movierec-*.whl
#   PACKAGE  what is installed beside it, such as dagster-k8s
set -eu
role=$1 wheels=$2 folder=$3
shift 3
lock=$(dirname "$0")/../../requirements.lock
wheel=$(find "$wheels" -name 'movierec-*.whl')
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --disable-pip-version-check --quiet --constraint "$lock" \
    "movierec[$role] @ file://$wheel" "$@"
