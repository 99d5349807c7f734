"""JSON as bytes: checked, split and edited without building objects where possible."""
