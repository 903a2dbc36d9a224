"""Everything on disk: data set readers, the store (parquet), its catalog (DuckDB) and the memory bank (FAISS)."""
