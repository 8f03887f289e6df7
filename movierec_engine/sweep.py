"""`python -m movierec_engine.sweep model=lightgcn n_trials=20`: search a model's best settings with Optuna."""

from movierec_engine.cli.train import tune_main as main

__all__ = ["main"]

if __name__ == "__main__":
    main()
