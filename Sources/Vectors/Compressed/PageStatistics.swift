internal import BTreeKV

/// What is known of some numbers without looking at them.
///
/// The numbers' bits are kept, not their type, so that nothing here is made anew for each element type.
struct PageStatistics: Equatable {
  /// In a file: least number (8 bytes), greatest (8), sum (16), how many are no numbers (4).
  static let encodedByteCount = 36

  /// How many numbers there are, those that are no numbers (NaN) included.
  var count = 0
  /// How many of them are NaN; these are neither the least nor the greatest, but part of the sum.
  var nanCount = 0
  /// The bits of the least one, and of equal ones the first; 0 when there is none.
  var minimum: UInt64 = 0
  /// The bits of the greatest one, likewise.
  var maximum: UInt64 = 0
  /// The bits of the sum: an `Int128` of integers, a `Double` of floats, added in their order.
  var sum: UInt128 = 0

  /// That of no numbers.
  init() {}

  /// Whether there is a least number.
  var hasBounds: Bool { nanCount < count }

  /// Reads that of a page; nil when it makes no sense.
  init?(_ bytes: [UInt8], _ layout: PageLayout) {
    guard bytes.count == Self.encodedByteCount else { return nil }
    count = layout.count
    bytes.withUnsafeBytes { bytes in
      minimum = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
      maximum = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
      sum = UInt128(littleEndian: bytes.loadUnaligned(fromByteOffset: 16, as: UInt128.self))
      nanCount = Int(
        UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 32, as: UInt32.self)))
    }
    guard nanCount <= count, !Self.isLess(maximum, minimum, layout.type) else { return nil }
  }

  var encoded: [UInt8] {
    var bytes = withUnsafeBytes(of: minimum.littleEndian) { Array($0) }
    withUnsafeBytes(of: maximum.littleEndian) { bytes.append(contentsOf: $0) }
    withUnsafeBytes(of: sum.littleEndian) { bytes.append(contentsOf: $0) }
    withUnsafeBytes(of: UInt32(nanCount).littleEndian) { bytes.append(contentsOf: $0) }
    return bytes
  }

  /// That of numbers behind those of another one.
  mutating func add(_ other: PageStatistics, _ type: PcoNumberType) {
    if other.hasBounds {
      let isFirst = !hasBounds
      if isFirst || Self.isLess(other.minimum, minimum, type) { minimum = other.minimum }
      if isFirst || Self.isLess(maximum, other.maximum, type) { maximum = other.maximum }
    }
    if type.kind == .float {
      sum = Self.bits(ofSum: Self.double(sum) + Self.double(other.sum))
    } else {
      sum &+= other.sum
    }
    count += other.count
    nanCount += other.nanCount
  }

  /// Whether this says the same; which bits a sum that is no number has depends on the machine.
  func isEqual(_ other: PageStatistics, _ type: PcoNumberType) -> Bool {
    var other = other
    if type.kind == .float, Self.double(sum).isNaN, Self.double(other.sum).isNaN { other.sum = sum }
    return self == other
  }

  static func double(_ sum: UInt128) -> Double {
    Double(bitPattern: UInt64(truncatingIfNeeded: sum))
  }

  private static func bits(ofSum sum: Double) -> UInt128 { UInt128(sum.bitPattern) }

  /// The number of these bits.
  static func number<Number: PcoNumber>(_ bits: UInt64, as type: Number.Type) -> Number {
    withUnsafeBytes(of: bits.littleEndian) { $0.loadUnaligned(as: Number.self) }
  }

  private static func bits(of number: some PcoNumber) -> UInt64 {
    var bits: UInt64 = 0
    withUnsafeMutableBytes(of: &bits) { $0.storeBytes(of: number, as: type(of: number)) }
    return UInt64(littleEndian: bits)
  }

  private static func isLess(_ a: UInt64, _ b: UInt64, _ type: PcoNumberType) -> Bool {
    func compare<Number: PcoNumber>(_: Number.Type) -> Bool {
      number(a, as: Number.self) < number(b, as: Number.self)
    }
    switch type {
    case .uint8, .uint16, .uint32, .uint64: return a < b
    case .int8: return compare(Int8.self)
    case .int16: return compare(Int16.self)
    case .int32: return compare(Int32.self)
    case .int64: return compare(Int64.self)
    #if !(os(macOS) && arch(x86_64))
      case .float16: return compare(Float16.self)
    #else
      case .float16: return false
    #endif
    case .float32: return compare(Float.self)
    case .float64: return compare(Double.self)
    }
  }

  // MARK: Of numbers in memory

  /// - Parameter bytes: numbers of the type, aligned for them.
  init(of bytes: UnsafeRawBufferPointer, _ type: PcoNumberType) {
    switch type {
    case .uint8: self.init(integers: bytes.assumingMemoryBound(to: UInt8.self))
    case .uint16: self.init(integers: bytes.assumingMemoryBound(to: UInt16.self))
    case .uint32: self.init(integers: bytes.assumingMemoryBound(to: UInt32.self))
    case .uint64: self.init(integers: bytes.assumingMemoryBound(to: UInt64.self))
    case .int8: self.init(integers: bytes.assumingMemoryBound(to: Int8.self))
    case .int16: self.init(integers: bytes.assumingMemoryBound(to: Int16.self))
    case .int32: self.init(integers: bytes.assumingMemoryBound(to: Int32.self))
    case .int64: self.init(integers: bytes.assumingMemoryBound(to: Int64.self))
    #if !(os(macOS) && arch(x86_64))
      case .float16: self.init(floats: bytes.assumingMemoryBound(to: Float16.self))
    #else
      // There are no vectors of a type that the system does not have.
      case .float16: self.init()
    #endif
    case .float32: self.init(floats: bytes.assumingMemoryBound(to: Float.self))
    case .float64: self.init(floats: bytes.assumingMemoryBound(to: Double.self))
    }
  }

  @inline(__always)
  private init<Number: FixedWidthInteger & PcoNumber>(integers: UnsafeBufferPointer<Number>) {
    count = integers.count
    guard let first = integers.first else { return }
    var (least, greatest, total) = (first, first, Int128(0))
    // Of 4,096 at once no sum of less than 64 bits overflows 64.
    var start = 0
    while start < integers.count {
      let end = min(start + 4096, integers.count)
      if Number.bitWidth < 64 {
        var part: Int64 = 0
        for index in start..<end {
          let number = integers[index]
          least = min(least, number)
          greatest = max(greatest, number)
          part &+= Int64(truncatingIfNeeded: number)
        }
        total &+= Int128(part)
      } else {
        for index in start..<end {
          let number = integers[index]
          least = min(least, number)
          greatest = max(greatest, number)
          total &+= Int128(truncatingIfNeeded: number)
        }
      }
      start = end
    }
    minimum = Self.bits(of: least)
    maximum = Self.bits(of: greatest)
    sum = UInt128(bitPattern: total)
  }

  @inline(__always)
  private init<Number: BinaryFloatingPoint & PcoNumber>(floats: UnsafeBufferPointer<Number>) {
    count = floats.count
    var bounds: (least: Number, greatest: Number)?
    var total = 0.0
    for number in floats {
      total += Double(number)
      if number.isNaN {
        nanCount += 1
      } else if let known = bounds {
        if number < known.least { bounds?.least = number }
        if known.greatest < number { bounds?.greatest = number }
      } else {
        bounds = (number, number)
      }
    }
    if let bounds {
      minimum = Self.bits(of: bounds.least)
      maximum = Self.bits(of: bounds.greatest)
    }
    sum = Self.bits(ofSum: total)
  }
}
