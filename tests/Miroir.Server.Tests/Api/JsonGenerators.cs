using System.Text;
using FsCheck;
using FsCheck.Fluent;

namespace Miroir.Server.Tests.Api;

/// <summary>JSON as text, in all the ways in which it may be written.</summary>
internal static class JsonGenerators
{
    private static readonly string[] KeyPieces =
    [
        "a",
        "Z",
        "0",
        "7",
        "+",
        ".",
        "..",
        "/",
        "//",
        ":",
        "%",
        "%2F",
        "%25",
        "?",
        "#",
        "&",
        "=",
        " ",
        "\\",
        "\"",
        "'",
        "~",
        "-",
        "_",
        "é",
        "ß",
        "日本",
        "😀",
        "\u200d",
        "\u0301",
        "e\u0301",
        "\t",
        "\n",
        "\u0001",
        "\u007f",
        "{",
        "[",
        ";",
        ",",
    ];

    private static readonly string[] Leaves =
    [
        "0",
        "-0",
        "1.10",
        "1e400",
        "-1E-7",
        "12345678901234567890123",
        "0.1000",
        "true",
        "false",
        "null",
        "\"\"",
        "\"é\"",
        "\"\\u00e9\"",
        "\"\\ud83d\\ude00\"",
        "\"😀\"",
        "\"a\\/b\\n\"",
        "[]",
        "{}",
        "\" \"",
        "\"_miroir_\"",
    ];

    /// <summary>Document ids: whatever may stand in a path.</summary>
    public static Gen<string> Key { get; } =
        Gen.Elements(KeyPieces)
            .NonEmptyListOf()
            .Select(pieces => string.Concat(pieces))
            .Where(key => Encoding.UTF8.GetByteCount(key) <= 512);

    private static Gen<string> Space { get; } = Gen.Elements("", "", "", " ", "  ", "\t");

    /// <summary>Objects, with the field `id` somewhere among the others.</summary>
    public static Gen<(string Id, string Json)> Document { get; } =
        from key in Key
        from before in Fields(2)
        from after in Fields(2)
        from space in Space
        let id = $"\"id\":{space}{System.Text.Json.JsonSerializer.Serialize(key)}"
        let fields = before
            .Select((f, i) => $"\"b{i}\"{space}:{f}")
            .Append(id)
            .Concat(after.Select((f, i) => $"\"a{i}\":{f}"))
        select (key, "{" + space + string.Join($"{space},", fields) + space + "}");

    private static Gen<IList<string>> Fields(int depth) =>
        from count in Gen.Choose(0, 3)
        from values in Value(depth).ListOf(count)
        select (IList<string>)[.. values];

    private static Gen<string> Value(int depth) =>
        depth == 0
            ? Gen.Elements(Leaves)
            : Gen.OneOf(
                Gen.Elements(Leaves),
                Fields(depth - 1).Select(values => $"[{string.Join(", ", values)}]"),
                Fields(depth - 1)
                    .Select(values => "{" + string.Join(",", values.Select((v, i) => $"\"k{i}\": {v}")) + "}")
            );
}
