"""Storage of the data set: the Parquet tables of the contract, photo bytes, and the lock for a single writer."""
