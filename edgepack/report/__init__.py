"""A report's facts as one page: what it says, its charts, its HTML."""
