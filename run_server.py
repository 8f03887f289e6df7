"""Start the API: `python run_server.py --model-dir artifacts --port 5000`; the same as `movierec serve`."""

from movierec_engine.cli import serve

if __name__ == "__main__":
    serve(prog_name="run_server.py")
