"""The tab of the Train dock that lists past and running trainings."""
