namespace Miroir.Core

[<RequireQualifiedAccess>]
module Toml =

    open System
    open System.Collections.Generic
    open System.Globalization
    open System.Text
    open TomlSyntax

    [<Literal>]
    let MaxDepth = TomlSyntax.MaxDepth

    // ----- Tables -------------------------------------------------------------------------------------------------

    /// How a table came to be, which decides who may still add to it.
    type private Kind =
        /// By a header of a table inside it.
        | Implied
        | Headed
        /// By a dotted key, under this header.
        | Dotted of section: int
        | Closed

    [<AllowNullLiteral>]
    type private Table(kind: Kind) =
        member val Kind = kind with get, set
        member val Slots = Dictionary<string, Slot>(StringComparer.Ordinal)
        member val Order = ResizeArray<KeyPart>()

        member this.Add(key: KeyPart, slot: Slot) =
            this.Slots.Add(key.Name, slot)
            this.Order.Add key

    and private Slot =
        | Leaf of TomlValue
        | Sub of Table
        | Subs of ResizeArray<Table * TomlPosition>

    type private Builder() =
        let errors = ResizeArray<TomlError>()

        let name (parts: KeyPart seq) =
            parts |> Seq.map _.Name |> String.concat "."

        let wrong (key: KeyPart) message =
            errors.Add { At = key.Place; Message = message }

        let find (table: Table) (key: KeyPart) =
            match table.Slots.TryGetValue key.Name with
            | true, slot -> Some slot
            | _ -> None

        let addTable (table: Table) key kind =
            let fresh = Table kind
            table.Add(key, Sub fresh)
            fresh

        member _.Errors = errors

        /// The table that a header's parts but the last lead to; null after an error.
        member private _.Walk(root: Table, path: KeyPart list) : Table =
            let mutable table = root

            for key in path do
                if not (isNull table) then
                    match find table key with
                    | None -> table <- addTable table key Implied
                    | Some(Sub next) when next.Kind <> Closed -> table <- next
                    | Some(Subs items) -> table <- fst items[items.Count - 1]
                    | Some _ ->
                        wrong key $"{key.Name} has a value already: no table can be in it"
                        table <- null

            table

        /// The table that a header opens; null after an error.
        member this.Open(root: Table, path: KeyPart list) : Table =
            let last = List.last path

            match this.Walk(root, path[.. path.Length - 2]) with
            | null -> null
            | parent ->
                match find parent last with
                | None -> addTable parent last Headed
                | Some(Sub table) when table.Kind = Implied ->
                    table.Kind <- Headed
                    table
                | Some _ ->
                    wrong last $"[{name path}] is there already"
                    null

        member this.OpenItem(root: Table, path: KeyPart list) : Table =
            let last = List.last path

            match this.Walk(root, path[.. path.Length - 2]) with
            | null -> null
            | parent ->
                match find parent last with
                | None ->
                    let item = Table Headed
                    parent.Add(last, Subs(ResizeArray [ item, last.Place ]))
                    item
                | Some(Subs items) ->
                    let item = Table Headed
                    items.Add(item, last.Place)
                    item
                | Some _ ->
                    wrong last $"{name path} is there already, and not as [[{name path}]]"
                    null

        member this.Assign(table: Table, section: int, path: KeyPart list, raw: Raw) : unit =
            match path with
            | [] -> ()
            | [ key ] ->
                if table.Slots.ContainsKey key.Name then
                    wrong key $"{key.Name} is there already"
                else
                    table.Add(key, Leaf(this.Build raw))
            | key :: rest ->
                match find table key with
                | None -> this.Assign(addTable table key (Dotted section), section, rest, raw)
                | Some(Sub next) when next.Kind = Dotted section -> this.Assign(next, section, rest, raw)
                | Some _ -> wrong key $"{key.Name} is there already: a dotted key can't add to it"

        member this.Build(raw: Raw) : TomlValue =
            match raw with
            | Scalar value -> value
            | Items items -> TomlArray [ for item, at in items -> { Value = this.Build item; At = at } ]
            | Inline pairs ->
                let table = Table Closed

                for path, value in pairs do
                    this.Assign(table, 0, path, value)

                TomlTable(Builder.Freeze table)

        static member Freeze(table: Table) : TomlEntry list = [
            for key in table.Order ->
                {
                    Key = key.Name
                    At = key.Place
                    Value =
                        match table.Slots[key.Name] with
                        | Leaf value -> value
                        | Sub inner -> TomlTable(Builder.Freeze inner)
                        | Subs items ->
                            TomlArray [
                                for item, at in items ->
                                    {
                                        Value = TomlTable(Builder.Freeze item)
                                        At = at
                                    }
                            ]
                }
        ]

    let private assemble (statements: Statement list) : Result<TomlEntry list, TomlError list> =
        let root = Table Headed
        let builder = Builder()
        let mutable current = root
        let mutable section = 0

        for statement in statements do
            match statement with
            | Blank -> ()
            | Header path ->
                section <- section + 1
                current <- builder.Open(root, path)
            | ItemHeader path ->
                section <- section + 1
                current <- builder.OpenItem(root, path)
            // Under a header that is wrong itself, only the header is told of.
            | Assign _ when isNull current -> ()
            | Assign(path, raw) -> builder.Assign(current, section, path, raw)

        if builder.Errors.Count = 0 then
            Ok(Builder.Freeze root)
        else
            Error(List.ofSeq builder.Errors)

    let parse (text: string) : Result<TomlEntry list, TomlError list> =
        let text = text.TrimStart('\uFEFF').Replace("\r\n", "\n")

        match text.IndexOf '\r' with
        | -1 ->
            match TomlSyntax.read text with
            | Ok statements -> assemble statements
            | Error problem -> Error [ problem ]
        | at ->
            let before = text.Substring(0, at)

            Error [
                {
                    At = {
                        Line = 1 + (before |> Seq.filter ((=) '\n') |> Seq.length)
                        Column = at - before.LastIndexOf '\n'
                    }
                    Message = "a carriage return without a line feed"
                }
            ]

    // ----- Text ---------------------------------------------------------------------------------------------------

    let private quoted (text: string) =
        let out = StringBuilder("\"")

        for c in text do
            match c with
            | '"' -> out.Append "\\\"" |> ignore
            | '\\' -> out.Append "\\\\" |> ignore
            | '\n' -> out.Append "\\n" |> ignore
            | '\t' -> out.Append "\\t" |> ignore
            | '\r' -> out.Append "\\r" |> ignore
            | c when c < ' ' || c = '\127' -> out.Append("\\u").Append((int c).ToString "X4") |> ignore
            | c -> out.Append c |> ignore

        out.Append('"').ToString()

    let private keyText (key: string) =
        if
            key <> ""
            && key
               |> Seq.forall (fun c -> Char.IsAsciiLetter c || Char.IsAsciiDigit c || c = '_' || c = '-')
        then
            key
        else
            quoted key

    let private floatText (number: float) =
        if Double.IsNaN number then
            "nan"
        elif Double.IsPositiveInfinity number then
            "inf"
        elif Double.IsNegativeInfinity number then
            "-inf"
        else
            let text = number.ToString("R", CultureInfo.InvariantCulture)

            if text |> Seq.forall (fun c -> Char.IsAsciiDigit c || c = '-') then
                text + ".0"
            else
                text

    let rec printValue (value: TomlValue) : string =
        match value with
        | TomlString text -> quoted text
        | TomlInteger number -> number.ToString CultureInfo.InvariantCulture
        | TomlFloat number -> floatText number
        | TomlBoolean true -> "true"
        | TomlBoolean false -> "false"
        | TomlDateTime text -> text
        | TomlArray items ->
            "["
            + (items |> List.map (fun item -> printValue item.Value) |> String.concat ", ")
            + "]"
        | TomlTable [] -> "{}"
        | TomlTable entries ->
            "{ "
            + (entries
               |> List.map (fun entry -> $"{keyText entry.Key} = {printValue entry.Value}")
               |> String.concat ", ")
            + " }"

    let print (entries: TomlEntry list) : string =
        let out = StringBuilder()

        let rec table (path: string list) (entries: TomlEntry list) =
            // Keys behind a header belong to it: a table's plain values come before its tables.
            for entry in entries do
                match entry.Value with
                | TomlTable _ -> ()
                | value -> out.Append($"{keyText entry.Key} = {printValue value}\n") |> ignore

            for entry in entries do
                match entry.Value with
                | TomlTable inner ->
                    let path = path @ [ keyText entry.Key ]
                    let header = String.concat "." path

                    if out.Length > 0 then
                        out.Append '\n' |> ignore

                    out.Append($"[{header}]\n") |> ignore
                    table path inner
                | _ -> ()

        table [] entries
        out.ToString()

    let describe (value: TomlValue) : string =
        match value with
        | TomlString _ -> $"the string {printValue value}"
        | TomlInteger _ -> $"the integer {printValue value}"
        | TomlFloat _ -> $"the float {printValue value}"
        | TomlBoolean _ -> $"the boolean {printValue value}"
        | TomlDateTime text -> $"the date or time {text}"
        | TomlArray _ -> "an array"
        | TomlTable _ -> "a table"
