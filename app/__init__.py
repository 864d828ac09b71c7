"""The product: one folder per part of the domain, wired together by `app.main`."""
