"""The log in other people's forms: views for spreadsheets, programs and FHIR servers. Never evidence by themselves."""
