"""`python -m movierec_engine.train model=lightgcn trainer.max_epochs=5`: prepare, train, evaluate, index one model."""

from movierec_engine.cli.train import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
