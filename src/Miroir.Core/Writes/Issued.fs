namespace Miroir.Core

[<Struct>]
type UpdateBase = {
    Document: Document | null
    Version: DocumentVersion
    IsConfirmed: bool
}

[<Sealed>]
type Issued private (capacity: int, documents: Map<Key, Document>) =

    static member Empty(capacity: int) =
        if capacity < 1 then
            invalidArg "capacity" $"must be 1 or more, not {capacity}"

        Issued(capacity, Map.empty)

    member _.Count = documents.Count
    member _.Capacity = capacity
    member _.Documents = documents |> Map.toArray |> Array.map snd

    member _.HasRoomFor(key: Key) =
        documents.Count < capacity || documents.ContainsKey key

    member _.TryFind(key: Key) : Document | null =
        match documents.TryFind key with
        | Some document -> document
        | None -> null

    member this.Remember(document: Document) =
        match documents.TryFind document.Key with
        | Some known when not (Versions.isLater document.Version known.Version) -> this
        | _ -> Issued(capacity, documents.Add(document.Key, document))

    member this.Settle(key: Key, acknowledged: DocumentVersion) =
        match documents.TryFind key with
        | Some known when not (Versions.isLater known.Version acknowledged) -> Issued(capacity, documents.Remove key)
        | _ -> this

    member _.BaseOf(key: Key, finding: Finding) : UpdateBase =
        match documents.TryFind key with
        | Some issued when
            Versions.isLater issued.Version finding.Version
            && not (Mutants.baseRuleLeftOut ())
              ->
              {
                  Document = issued
                  Version = issued.Version
                  IsConfirmed = false
              }
        | _ -> {
            Document = finding.Document
            Version = finding.Version
            IsConfirmed = finding.IsConfirmed
          }
