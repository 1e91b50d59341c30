namespace Miroir.Core

/// The grammar of TOML 1.0: a text to its statements, in order. What they mean together is Toml's.
module internal TomlSyntax =

    open System
    open System.Collections.Generic
    open System.Globalization
    open System.Text
    open System.Text.RegularExpressions
    open FParsec

    [<Literal>]
    let MaxDepth = 64

    /// A part of a dotted key.
    type KeyPart = { Name: string; Place: TomlPosition }

    /// A value as it is read: inline tables still have dotted keys.
    type Raw =
        | Scalar of TomlValue
        | Items of (Raw * TomlPosition) list
        | Inline of (KeyPart list * Raw) list

    type Statement =
        | Header of KeyPart list
        | ItemHeader of KeyPart list
        | Assign of KeyPart list * Raw
        | Blank

    // ----- Syntax -------------------------------------------------------------------------------------------------

    /// The user state is the depth of nesting.
    type private P<'T> = Parser<'T, int>

    let private position: P<TomlPosition> =
        getPosition
        |>> fun at -> {
            Line = int at.Line
            Column = int at.Column
        }

    let private isPrintable c = c = '\t' || (c >= ' ' && c <> '\127')
    let private ws: P<unit> = skipManySatisfy (fun c -> c = ' ' || c = '\t')
    let private comment: P<unit> = skipChar '#' >>. skipManySatisfy isPrintable

    let private lineEnd: P<unit> =
        ws
        >>. optional comment
        >>. ((skipNewline <|> eof) <?> "the end of the line or a comment")

    /// Blanks, comments and newlines, as an array may hold between its values.
    let private trivia: P<unit> =
        skipMany (skipSatisfy (fun c -> c = ' ' || c = '\t') <|> comment <|> skipNewline)

    let private codePoint (digits: int) : P<string> =
        manyMinMaxSatisfyL digits digits isHex $"{digits} hexadecimal digits"
        >>= fun text ->
            let code =
                UInt32.Parse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture)

            if code > 0x10FFFFu || (code >= 0xD800u && code <= 0xDFFFu) then
                fail $"U+{text} is not a Unicode scalar value"
            else
                preturn (Char.ConvertFromUtf32(int code))

    let private escapeBehind: P<string> =
        choice [
            stringReturn "b" "\b"
            stringReturn "t" "\t"
            stringReturn "n" "\n"
            stringReturn "f" "\012"
            stringReturn "r" "\r"
            stringReturn "\"" "\""
            stringReturn "\\" "\\"
            skipChar 'u' >>. codePoint 4
            skipChar 'U' >>. codePoint 8
        ]
        <?> "an escape: \\b \\t \\n \\f \\r \\\" \\\\ \\uXXXX \\UXXXXXXXX"

    let private concat (pieces: P<string>) : P<string> = many pieces |>> String.concat ""

    let private basicString: P<string> =
        let plain = many1Satisfy (fun c -> isPrintable c && c <> '"' && c <> '\\')

        between
            (skipChar '"')
            (skipChar '"' <?> "the closing '\"' of the string on the same line")
            (concat (plain <|> (skipChar '\\' >>. escapeBehind)))

    let private literalString: P<string> =
        between
            (skipChar '\'')
            (skipChar '\'' <?> "the closing \"'\" of the string on the same line")
            (manySatisfy (fun c -> isPrintable c && c <> '\''))

    /// A string between three quotes; one or two quotes may stand in it, also right before its end.
    let private longString (quote: char) (piece: P<string>) : P<string> =
        let run = many1Satisfy ((=) quote)

        let inside =
            attempt (run >>= fun quotes -> if quotes.Length <= 2 then preturn quotes else pzero)

        let close =
            run
            >>= fun quotes ->
                if quotes.Length >= 3 && quotes.Length <= 5 then
                    preturn (String(quote, quotes.Length - 3))
                else
                    fail $"{quotes.Length} quotes end no string"

        attempt (skipString (String(quote, 3)))
        >>. optional skipNewline
        >>. pipe2 (concat (piece <|> newlineReturn "\n" <|> inside)) (close <?> "the three closing quotes") (+)

    let private longBasicString: P<string> =
        let foldedLine =
            attempt (ws >>. skipNewline)
            >>. skipMany (skipSatisfy (fun c -> c = ' ' || c = '\t') <|> skipNewline)
            >>% ""

        longString
            '"'
            (many1Satisfy (fun c -> isPrintable c && c <> '"' && c <> '\\')
             <|> (skipChar '\\' >>. (foldedLine <|> escapeBehind)))

    let private longLiteralString: P<string> =
        longString '\'' (many1Satisfy (fun c -> isPrintable c && c <> '\''))

    let private keyPart: P<KeyPart> =
        let bare =
            many1SatisfyL (fun c -> isAsciiLetter c || isDigit c || c = '_' || c = '-') "a key"

        pipe2 position (basicString <|> literalString <|> bare) (fun at name -> { Name = name; Place = at })

    let private dottedKey: P<KeyPart list> =
        sepBy1 keyPart (attempt (ws >>. skipChar '.' >>. ws))

    let private decimal = Regex @"^[+-]?(0|[1-9](_?[0-9])*)$"

    let private based =
        Regex @"^0(x[0-9A-Fa-f](_?[0-9A-Fa-f])*|o[0-7](_?[0-7])*|b[01](_?[01])*)$"

    let private floating =
        Regex @"^[+-]?(0|[1-9](_?[0-9])*)(\.[0-9](_?[0-9])*)?([eE][+-]?[0-9](_?[0-9])*)?$"

    let private special = Regex @"^[+-]?(inf|nan)$"

    let private dateTime =
        Regex(
            @"^(\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])([Tt ]([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?"
            + @"([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)?)?|([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?)$"
        )

    let private ofWord (word: string) : Result<TomlValue, string> =
        let plain = word.Replace("_", "")

        if word = "true" then
            Result.Ok(TomlBoolean true)
        elif word = "false" then
            Result.Ok(TomlBoolean false)
        elif decimal.IsMatch word then
            match Int64.TryParse(plain, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture) with
            | true, number -> Result.Ok(TomlInteger number)
            | _ -> Result.Error $"{word} does not fit into 64 bits"
        elif based.IsMatch word then
            let radix =
                match word[1] with
                | 'x' -> 16
                | 'o' -> 8
                | _ -> 2

            try
                let number = Convert.ToInt64(plain.Substring 2, radix)

                if number < 0L then
                    Result.Error $"{word} does not fit into 63 bits"
                else
                    Result.Ok(TomlInteger number)
            with :? OverflowException ->
                Result.Error $"{word} does not fit into 63 bits"
        elif special.IsMatch word then
            let magnitude = if word.EndsWith "inf" then infinity else nan
            Result.Ok(TomlFloat(if word[0] = '-' then -magnitude else magnitude))
        elif floating.IsMatch word then
            Result.Ok(TomlFloat(Double.Parse(plain, NumberStyles.Float, CultureInfo.InvariantCulture)))
        elif dateTime.IsMatch word then
            Result.Ok(TomlDateTime word)
        else
            Result.Error $"{word} is not a value; a text needs quotes: \"{word}\""

    let private word: P<TomlValue> =
        let inWord c =
            isAsciiLetter c
            || isDigit c
            || c = '_'
            || c = '+'
            || c = '-'
            || c = '.'
            || c = ':'

        let isDate (text: string) =
            text.Length = 10 && text[4] = '-' && text[7] = '-' && isDigit text[0]

        // A date may be followed by one blank and its time.
        let timeBehind =
            attempt (
                skipChar ' '
                >>. followedBy (digit >>. digit >>. skipChar ':')
                >>. many1Satisfy inWord
            )

        many1SatisfyL inWord "a value"
        >>= (fun first ->
            if isDate first then
                opt timeBehind
                |>> function
                    | Some time -> $"{first} {time}"
                    | None -> first
            else
                preturn first)
        >>= fun text ->
            match ofWord text with
            | Result.Ok value -> preturn value
            | Result.Error why -> fail why

    let private value, private valueRef = createParserForwardedToRef<Raw, int>()

    let private nested (inner: P<'T>) : P<'T> =
        getUserState
        >>= fun depth ->
            if depth >= MaxDepth then
                fail $"arrays and tables are nested more than {MaxDepth} deep"
            else
                setUserState (depth + 1) >>. inner .>> setUserState depth

    let private assignment: P<KeyPart list * Raw> =
        dottedKey .>> ws .>> (skipChar '=' <?> "'='") .>> ws .>>. value

    let private array: P<Raw> =
        let item = position .>>. value .>> trivia |>> fun (at, item) -> item, at

        skipChar '['
        >>. trivia
        >>. nested (sepEndBy item (skipChar ',' >>. trivia) |>> Items)
        .>> (skipChar ']' <?> "',' or ']'")

    let private inlineTable: P<Raw> =
        skipChar '{'
        >>. ws
        >>. nested (sepBy (assignment .>> ws) (skipChar ',' >>. ws) |>> Inline)
        .>> (skipChar '}' <?> "',' or '}' on the same line")

    valueRef.Value <-
        choice [
            longBasicString |>> (TomlString >> Scalar)
            longLiteralString |>> (TomlString >> Scalar)
            basicString |>> (TomlString >> Scalar)
            literalString |>> (TomlString >> Scalar)
            array
            inlineTable
            word |>> Scalar
        ]
        <?> "a value"

    let private statement: P<Statement> =
        let itemHeader =
            between (attempt (skipString "[[")) (skipString "]]") (ws >>. dottedKey .>> ws)
            |>> ItemHeader

        let header =
            between (skipChar '[') (skipChar ']') (ws >>. dottedKey .>> ws) |>> Header

        let blank = followedBy (lineEnd) >>% Blank

        notFollowedBy eof
        >>. ws
        >>. (itemHeader <|> header <|> blank <|> (assignment |>> Assign))
        .>> lineEnd

    /// FParsec's message without the position and the picture of the line that it begins with.
    let private briefly (message: string) =
        let lines = message.Split('\n') |> Array.map _.Trim()
        let caret = lines |> Array.tryFindIndex ((=) "^")

        lines
        |> Array.skip (
            match caret with
            | Some at -> at + 1
            | None -> min 1 lines.Length
        )
        |> Array.filter (fun line -> line <> "" && not (line.StartsWith "Note:"))
        |> String.concat " "
        |> fun text -> text.Replace("Expecting: ", "expected ").Replace("Other error messages: ", "")

    /// The statements, or what is wrong first.
    let read (text: string) : Result<Statement list, TomlError> =
        match runParserOnString (many statement .>> eof) 0 "" text with
        | Success(statements, _, _) -> Result.Ok statements
        | Failure(message, error, _) ->
            Result.Error {
                At = {
                    Line = int error.Position.Line
                    Column = int error.Position.Column
                }
                Message = briefly message
            }
