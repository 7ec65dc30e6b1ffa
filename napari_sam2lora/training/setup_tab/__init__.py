"""The tab of the Train dock on which a training is set up and started."""
