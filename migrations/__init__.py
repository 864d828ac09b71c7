"""Numbered plain SQL, applied in order by `app.storage.migrations`, never edited once landed."""
