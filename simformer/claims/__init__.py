"""Class maps and their networks measured against true labels: what each baseline's paper claims."""
