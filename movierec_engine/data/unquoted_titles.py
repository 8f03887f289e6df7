"""Titles with commas but without quotes, at the ends of lines, as in the Netflix Prize's movie_titles.csv.

71,1995,Maya Lin: A Strong Clear Vision
72,1974,At Home Among Strangers, A Stranger Among His Own
"""

from dataclasses import replace

from movierec_engine.data.table_file import TableFile, connect, literal, reading, sql_text


def with_ends_of_lines(file: TableFile) -> TableFile:
    """The table with all that is left of a line in its last column; as it is where that is in doubt.

    In doubt are a text with quotes, one with a line of fewer fields than columns, and any without commas or with a
    header.
    """
    form, plain = file.form, file.plain
    if not form or not plain or form.header or form.delimiter != ",":
        return file
    lines = (
        f"read_csv({literal(plain.path)}, hive_partitioning=false, columns={{line: 'VARCHAR'}}, auto_detect=false, "
        f"header=false, skip={form.header_lines}, delim='\x01', quote='', escape='', "
        f"encoding='{'latin-1' if plain.latin1 else 'utf-8'}')"
    )
    sign, width = sql_text(form.delimiter), len(form.names)
    with reading(file.name, file.delimiter), connect() as database:
        sql = f"""SELECT count(*) FILTER (contains(line, '"')), min(len(string_split(line, {sign}))) FROM {lines}"""
        quoted, fewest = database.execute(f"{sql} WHERE trim(line) <> ''").fetchall()[0]
    if quoted or fewest < width:
        return file
    fields = [f"fields[{number + 1}] AS c{number}" for number in range(width - 1)]
    end = f"array_to_string(fields[{width}:], {sign}) AS c{width - 1}"
    split = f"SELECT string_split(line, {sign}) AS fields FROM {lines} WHERE trim(line) <> ''"
    return replace(file, relation=f"(SELECT {', '.join([*fields, end])} FROM ({split}))", quoted=False)
