"""Start the API: `python run_server.py --model-dir artifacts --port 5000`; the same as `movierec serve`."""

from movierec_engine.cli.console import read_env_file
from movierec_engine.cli.serve import serve

if __name__ == "__main__":
    read_env_file()
    serve(prog_name="run_server.py")
