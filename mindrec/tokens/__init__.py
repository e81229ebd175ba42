"""Items as tokens: category levels, then semantic-ID levels."""
