"""The tab of the Train dock that shows a running training."""
