"""Training data: pairs of image and mask, the annotated region, the plan, and what is written."""
