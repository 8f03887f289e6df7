"""Neural collaborative filtering: gmf, mlp, and ncf, which joins them."""
