"""The tab of the Train dock with all settings of a training."""
