/// The header of a `.npy` file, version 1.0.
///
/// A file is the magic bytes, the version, the header's length, a Python dictionary that is filled up with
/// blanks to a multiple of 64 bytes, and the elements: little-endian, row by row. Those are a raw
/// vector's bytes, as they are.
struct NumPyHeader: Equatable {
  static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)
  /// The longest header that is read.
  static let maximumByteCount = 1 << 16

  /// NumPy's name of the type of a number.
  let type: String
  /// How many there are in each dimension.
  let shape: [Int]

  init(type: String, shape: [Int]) {
    self.type = type
    self.shape = shape
  }

  /// The type and the numbers of an element with a tag; nil when NumPy has no such type.
  static func type(ofTag tag: String) -> (type: String, scalarCount: Int?)? {
    if tag.hasPrefix("simd"), tag.hasSuffix(">"), let start = tag.firstIndex(of: "<") {
      guard let count = Int(tag.dropFirst(4)[..<start]), count != 3,
        let scalar = Self.type(ofTag: String(tag[tag.index(after: start)...].dropLast())),
        scalar.scalarCount == nil
      else { return nil }
      return (scalar.type, count)
    }
    let types = [
      "u8": "|u1", "u16": "<u2", "u32": "<u4", "u64": "<u8", "i8": "|i1", "i16": "<i2",
      "i32": "<i4", "i64": "<i8", "f16": "<f2", "f32": "<f4", "f64": "<f8", "bool": "|b1",
    ]
    return types[tag].map { ($0, nil) }
  }

  /// The bytes in front of the elements.
  var encoded: [UInt8] {
    let tuple = shape.count == 1 ? "\(shape[0])," : shape.map(String.init).joined(separator: ", ")
    var text = "{'descr': '\(type)', 'fortran_order': False, 'shape': (\(tuple)), }"
    let byteCount = (Self.magic.count + 4 + text.utf8.count + 1 + 63) / 64 * 64
    text += String(repeating: " ", count: byteCount - Self.magic.count - 4 - text.utf8.count - 1)
    text += "\n"
    let length = UInt16(text.utf8.count)
    return Self.magic + [1, 0, UInt8(length & 0xFF), UInt8(length >> 8)] + Array(text.utf8)
  }

  /// The header at the beginning of some bytes, and its length; nil when it goes on behind them.
  static func read(_ bytes: [UInt8]) throws(ExchangeError) -> (header: Self, byteCount: Int)? {
    let start = bytes.prefix(magic.count)
    guard magic.starts(with: start) else { throw ExchangeError("this is no .npy file") }
    guard bytes.count >= magic.count + 2 else { return nil }
    let version = bytes[magic.count]
    guard 1...3 ~= version else {
      throw ExchangeError("version \(version) of the .npy format is unknown")
    }
    let lengthByteCount = version == 1 ? 2 : 4
    let begin = magic.count + 2 + lengthByteCount
    guard bytes.count >= begin else { return nil }
    let length = bytes[magic.count + 2..<begin].reversed().reduce(0) { $0 << 8 | Int($1) }
    guard length <= maximumByteCount else { throw ExchangeError("the .npy header is too long") }
    guard bytes.count >= begin + length else { return nil }
    let text = String(decoding: bytes[begin..<begin + length], as: UTF8.self)
    return (try Self(dictionary: text), begin + length)
  }

  /// Takes the three entries out of a Python dictionary.
  private init(dictionary text: String) throws(ExchangeError) {
    func value(_ key: String) throws(ExchangeError) -> Substring {
      for quote in ["'", "\""] {
        guard let range = text.firstRange(of: quote + key + quote) else { continue }
        let rest = text[range.upperBound...].drop { $0 == " " }
        if rest.first == ":" { return rest.dropFirst().drop { $0 == " " } }
      }
      throw ExchangeError("the .npy header lacks \"\(key)\"")
    }
    let type = try value("descr")
    guard let quote = type.first, quote == "'" || quote == "\"",
      let end = type.dropFirst().firstIndex(of: quote)
    else { throw ExchangeError("the elements of the .npy file are no plain numbers") }
    self.type = String(type.dropFirst()[..<end])
    let tuple = try value("shape")
    guard tuple.first == "(", let end = tuple.firstIndex(of: ")") else {
      throw ExchangeError("the shape in the .npy header makes no sense")
    }
    var shape: [Int] = []
    for part in tuple.dropFirst()[..<end].split(separator: ",") {
      let digits = part.filter { $0 != " " }
      if digits.isEmpty { continue }
      guard let count = Int(digits), count >= 0 else {
        throw ExchangeError("the shape in the .npy header makes no sense")
      }
      shape.append(count)
    }
    self.shape = shape
    if try value("fortran_order").hasPrefix("True"), shape.count > 1 {
      throw ExchangeError("the .npy file has its elements column by column (fortran_order)")
    }
  }
}

/// Vectors as NumPy's `.npy` files.
///
/// Integers and floating-point numbers of up to 64 bits, `Bool`, and SIMD vectors of them (but of three)
/// can be, these as rows of a table. What a file has behind its header are the bytes of a raw vector as
/// they are; in holes what was there before.
public enum NumPy {
  /// Writes a vector as a `.npy` file.
  ///
  /// ```swift
  /// var file: [UInt8] = []
  /// try NumPy.write(reader) { piece in
  ///   piece.withUnsafeBytes { file.append(contentsOf: $0) }
  /// }
  /// ```
  ///
  /// - Parameters:
  ///   - reader: the elements.
  ///   - range: which of them; nil means all.
  ///   - receive: gets one piece of the file after the other, the elements from where they lie.
  /// - Throws: `ExchangeError` when NumPy has no such type; what reading and `receive` throw.
  /// - Complexity: O(n); nothing is copied here.
  public static func write<Reader: VectorReader>(
    _ reader: Reader, in range: Range<Int>? = nil, to receive: (RawSpan) throws -> Void
  ) throws {
    let tag = Reader.Element.elementTag
    guard let (type, scalarCount) = NumPyHeader.type(ofTag: tag) else {
      throw ExchangeError("NumPy has no type for elements of \(tag)")
    }
    let range = reader.checked(range)
    let shape = [range.count] + (scalarCount.map { [$0] } ?? [])
    try receive(NumPyHeader(type: type, shape: shape).encoded.span.bytes)
    var next = range.lowerBound
    while next < range.upperBound {
      let end = min(range.upperBound, next + analysisBlockCount)
      var failure: (any Error)?
      try reader.readSpans(in: next..<end) { span in
        guard failure == nil else { return }
        span.withUnsafeBufferPointer { elements in
          do {
            try receive(RawSpan(_unsafeBytes: UnsafeRawBufferPointer(elements)))
          } catch {
            failure = error
          }
        }
      }
      if let failure { throw failure }
      next = end
    }
  }
}

/// Reads the elements of a `.npy` file from pieces of it.
///
/// ```swift
/// var numbers: [Double] = []
/// var reader = NumPyReader<Double>()
/// try reader.read(file) { numbers += $0 }
/// try reader.finish()
/// ```
public struct NumPyReader<Element: VectorElement>: Sendable {
  /// Bytes that are not a whole header or element yet.
  private var rest: [UInt8] = []
  /// How many elements are still to come; nil before the header.
  private var missingCount: Int?

  /// A reader at the beginning of a file.
  public init() {}

  /// Reads the next piece of the file.
  ///
  /// - Parameters:
  ///   - bytes: cut anywhere.
  ///   - receive: gets the elements that are whole now.
  /// - Throws: `ExchangeError` when the file is none of such elements, and what `receive` throws.
  ///   Nothing more can be read then.
  public mutating func read(_ bytes: [UInt8], into receive: ([Element]) throws -> Void) throws {
    rest += bytes
    if missingCount == nil {
      guard let (header, byteCount) = try NumPyHeader.read(rest) else { return }
      missingCount = try Self.count(header)
      rest.removeFirst(byteCount)
    }
    let stride = MemoryLayout<Element.Stored>.stride
    let count = rest.count / stride
    guard let missing = missingCount, count <= missing,
      count < missing || rest.count == count * stride
    else { throw ExchangeError("the .npy file has bytes behind its last element") }
    guard count > 0 else { return }
    let elements = rest.withUnsafeBytes { bytes in
      (0..<count).map { place in
        withUnsafeTemporaryAllocation(of: Element.Stored.self, capacity: 1) { room in
          UnsafeMutableRawBufferPointer(room).copyMemory(
            from: UnsafeRawBufferPointer(rebasing: bytes[place * stride..<(place + 1) * stride]))
          return Element(stored: room[0])
        }
      }
    }
    rest.removeFirst(count * stride)
    missingCount = missing - count
    try receive(elements)
  }

  /// Says that there is no more.
  ///
  /// - Throws: `ExchangeError` when the file ends too early.
  public func finish() throws(ExchangeError) {
    guard missingCount == 0, rest.isEmpty else {
      throw ExchangeError("the .npy file ends too early")
    }
  }

  private static func count(_ header: NumPyHeader) throws(ExchangeError) -> Int {
    guard let (type, scalarCount) = NumPyHeader.type(ofTag: Element.elementTag) else {
      throw ExchangeError("NumPy has no type for elements of \(Element.elementTag)")
    }
    // Little-endian is the machine's own order, and one byte has none.
    let found = header.type.hasPrefix("=") ? "<" + header.type.dropFirst() : header.type
    guard found == type || found.dropFirst() == type.dropFirst() && type.hasPrefix("|") else {
      throw ExchangeError("the .npy file has elements of type \(header.type), not \(type)")
    }
    let row = scalarCount.map { [$0] } ?? []
    guard let count = header.shape.first, Array(header.shape.dropFirst()) == row else {
      throw ExchangeError("the shape of the .npy file is \(header.shape), not that of a vector")
    }
    return count
  }
}
