"""Ranking metrics, the evaluator and its reports."""

from movierec_engine.evaluation.evaluator import Evaluation, Evaluator

__all__ = ["Evaluation", "Evaluator"]
