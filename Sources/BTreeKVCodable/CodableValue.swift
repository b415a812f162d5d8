// A library of its own, so that nobody loads Foundation who does not store this.
public import BTreeKV

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

/// Any `Codable` value, stored as JSON (RFC 8259).
///
///     struct Person: Codable, Sendable { var name: String; var born: Int? }
///     try people.insert(7, CodableValue(Person(name: "Ada", born: 1815)))
///
/// Convenient rather than fast: a microsecond or more, and many bytes, for what a coding of your own
/// does in nanoseconds. Fields can be added and removed as `Codable` allows. Keys are sorted, so that
/// equal values have equal bytes; infinities and NaN are the texts "inf", "-inf" and "nan".
public struct CodableValue<Wrapped: Codable & Sendable>: StorableValue {
  /// The value.
  public var wrapped: Wrapped

  /// What stores this value.
  public init(_ wrapped: Wrapped) { self.wrapped = wrapped }

  /// The name of the coding, for all types.
  public static var codingTag: String { "json" }

  /// Appends the value as JSON.
  ///
  /// - Throws: `.invalidArgument` if the value's `encode(to:)` throws.
  public func encodeValue(into encoder: inout ByteEncoder) throws(DatabaseError) {
    do {
      encoder.append(Array(try jsonEncoder.encode(wrapped)))
    } catch {
      throw ByteEncoder.unstorable("as JSON: \(error)")
    }
  }

  /// Takes everything.
  ///
  /// - Throws: `.corrupted` if it is no JSON, or not of the type.
  public static func decodeValue(
    from decoder: inout ByteDecoder
  ) throws(DatabaseError) -> CodableValue {
    do {
      return CodableValue(try jsonDecoder.decode(Wrapped.self, from: Data(decoder.takeAll())))
    } catch {
      throw ByteDecoder.malformed("JSON of a \(Wrapped.self): \(error)")
    }
  }
}

extension CodableValue: Equatable where Wrapped: Equatable {}
extension CodableValue: Hashable where Wrapped: Hashable {}

// Never changed after this, so threads can share them.
private let jsonEncoder: JSONEncoder = {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
  encoder.nonConformingFloatEncodingStrategy = .convertToString(
    positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
  return encoder
}()

private let jsonDecoder: JSONDecoder = {
  let decoder = JSONDecoder()
  decoder.nonConformingFloatDecodingStrategy = .convertFromString(
    positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
  return decoder
}()
