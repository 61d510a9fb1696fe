"""What there is to explore in a store, as services that know no web: studies, runs, reports.

`study` is one study at one scale as it stands now; `desk` holds all built-in ones and runs them, as jobs of
a laboratory; `chapter` lays out what a study says, as the report does; `runs` looks at single runs; `pages`
makes reports.
"""
