"""What can be trained: a task for each kind of model, which ``training.loop`` runs."""
