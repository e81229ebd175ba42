"""Words of the "Your data" dialog, and the sentences that its questions answer with."""

DIALOG = {
    "open": "Your data",
    "open_help": "Train a small model on a table of your own, and watch it decode.",
    "title": "Your data",
    "about": (
        "One row an interaction: who, which item, and when. CSV and its relatives, JSON lines, Parquet, a workbook, "
        "also packed. The file stays on this computer, in a folder that is removed when the app ends."
    ),
    "choose": "Choose a file, or drop one here",
    "close": "Close",
    "sending": "Reading {name}: {percent} %",
    "too_big": "{name} has more than {most} MB; use the commands prepare and train.",
    "failed": "The app did not answer. Is it still running?",
    "found": "What was found",
    "column": "Column",
    "kind": "Kind",
    "examples": "Examples",
    "no_name": "(no name)",
    "more_columns": "… and {n} columns more",
    "meaning": "What the columns are",
    "none": "none",
    "rows_in_order": "none: rows are in order",
    "roles": {
        "user": "Who (user)",
        "item": "Which item",
        "time": "When (time)",
        "title": "Title of the item",
        "category": "Category of the item",
        "brand": "Brand of the item",
    },
    "items": "A second table about the items",
    "items_about": "Titles, categories and brands, if they are in a file of their own.",
    "items_choose": "Choose it",
    "items_without": "Do without it",
    "items_id": "Id of the item in that table",
    "reading": "How the file is read",
    "as_found": "as found",
    "separator": "Separator",
    "separators": {"comma": "comma", "semicolon": "semicolon", "tab": "tab", "pipe": "|", "blanks": "blanks"},
    "encoding": "Encoding",
    "encodings": ["utf-8", "cp1252", "gb18030", "utf-16"],
    "header": "First line",
    "headers": {"no": "is data"},
    "dates": "Dates such as 1/2/2024",
    "date_forms": {"day": "day first", "month": "month first"},
    "look_again": "Look again",
    "quick": "Quick trial: two epochs of each part, for a first impression",
    "train": "Prepare and train",
    "cancel": "Cancel",
    "prepare_stage": "Preparing the data",
    "train_stage": "Training: choosing sizes and making semantic IDs",
    "epoch": "Training: epoch {epoch} of {epochs}",
    "opening": "Opening the new checkpoint",
    "said": "What the commands say",
    "watch": "Watch it decode",
    "done": "Trained, and ready to be watched.",
    "commands": "The same by commands, for a checkpoint that stays",
    "stopped": "Cancelled. Nothing was opened.",
}

HISTORY = "Test history {n}"
HISTORY_ABOUT = "A history of your data that was held out. What comes next?"
NO_FILE = "There is no such file any more; choose it again."
BUSY = "A training is running already; cancel it first."
NOTHING_RUNS = "Nothing is running; begin again."
ENDED = "The command ended without a word (exit status {status}); run it in a terminal to see why."
BAD_COLUMN = "{column!r} is no column of the file; choose one from the menu."
TOO_LARGE = "The file has more than {most} MB; use the commands prepare and train."
OUT_OF_TURN = "A part of the file came out of turn; choose it again."
"""Answers for a person; those of prepare and train come as the commands say them."""
