"""The review app: pages and routes put together. ``firsthand review LIBRARY`` runs it; ``streamlit run app.py`` does too."""

import streamlit as st

if __name__ == "__main__":  # Streamlit runs this file as the page's script …
    from firsthand.annotate.pages import run
    from firsthand.annotate.pages_export import page
    from firsthand.datasets import formats

    run(lambda desk: page(desk, formats))
else:  # … and the server imports it once for its routes
    from firsthand.annotate.routes import api_routes
    from firsthand.annotate.security import middleware

    app = st.App(__file__, routes=api_routes(), middleware=middleware())
