using System.Text;
using System.Text.Json;

namespace Miroir.Server.Api;

/// <summary>JSON text in messages for people.</summary>
internal static class JsonText
{
    public static string Kind(JsonTokenType type) =>
        type switch
        {
            JsonTokenType.StartObject => "an object",
            JsonTokenType.StartArray => "an array",
            JsonTokenType.String => "a string",
            JsonTokenType.Number => "a number",
            JsonTokenType.Null => "null",
            JsonTokenType.True => "true",
            JsonTokenType.False => "false",
            _ => "nothing",
        };

    /// <summary>The first bytes as text for a message.</summary>
    public static string Shown(ReadOnlySpan<byte> utf8, int mostBytes) =>
        utf8.Length <= mostBytes
            ? Encoding.UTF8.GetString(utf8)
            : Encoding.UTF8.GetString(utf8[..mostBytes]).TrimEnd('\uFFFD') + "...";

    public static string Shown(string text, int most) => text.Length <= most ? text : text[..most] + "...";
}
