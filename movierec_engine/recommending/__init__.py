"""From a model's scores to the list that a person sees; numpy alone."""
