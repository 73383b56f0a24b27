"""Where the data set lives: Parquet tables of the contract, photo bytes, and incremental stages over them."""
