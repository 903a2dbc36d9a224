"""Where things lie: data set readers, the feature store (parquet), the catalog (DuckDB), the memory bank (FAISS)."""
