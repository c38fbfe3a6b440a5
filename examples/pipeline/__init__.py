"""A million transactions: collect, preprocess, three checks side by side, a report, a note."""
