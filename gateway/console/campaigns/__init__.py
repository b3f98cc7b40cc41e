"""
The pages of campaigns: what there is, making one, seeing one, changing one.

    fields.py     every field of a definition as it is asked for, a table
    typed.py      what was typed ⇄ a definition; pure
    rules.py      a rule that does not hold, as it is said beside the field; pure
    sentence.py   what a customer would read; pure
    listing.py    the list and its export
    wizard.py     making one, in five steps
    detail.py     one campaign and what is done with it
    holders.py    who has most of its coupons
    versions.py   its versions and what is different between two of them
    changing.py   changing its fields, alone or by two people
    curve.py      stock over time as a drawing; pure
"""
