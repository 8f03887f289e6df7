"""The dashboard: Streamlit pages over the artifact store. Reads JSON and Parquet; never loads a model."""
