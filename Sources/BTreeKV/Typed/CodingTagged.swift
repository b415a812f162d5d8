/// What keys and values of typed trees have in common: a name for the way they are stored.
public protocol CodingTagged: Sendable {
  /// The name of the coding, such as `"u64"` or `"(u64,text)"`.
  ///
  /// A typed tree notes the tags of its keys and values, so that opening it as something else is an
  /// error and not nonsense. So types with the same tag must be stored alike, and a tag must stay
  /// as it is while files have it. The tags of this library are in `docs/FILE-FORMAT.md`; choose
  /// others for your own codings, without parentheses, commas, question marks and
  /// arrows, and short: those of a tree have 512 bytes together.
  static var codingTag: String { get }
}

extension CodingTagged where Self: RawRepresentable, RawValue: CodingTagged {
  /// The raw value's tag, since that is what is stored.
  public static var codingTag: String { RawValue.codingTag }
}
