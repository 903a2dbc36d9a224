"""A store on object storage: the bucket is the truth, and each worker has a local folder with what it read or wrote."""
