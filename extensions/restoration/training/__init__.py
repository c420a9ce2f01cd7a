"""Room of training: clean pictures -> damaged batches -> the small networks."""
