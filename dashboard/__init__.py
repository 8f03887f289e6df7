"""The Streamlit dashboard: reads the artifact store, and imports neither torch nor mlflow nor faiss."""
