import Vectors

/// An element of a vector that the tool shows and takes as text.
protocol ToolElement: VectorElement, LosslessStringConvertible {
  /// What stands beneath a hole that is imported.
  static var zero: Self { get }
  /// The element as a number, rounded; for histograms.
  var rounded: Double { get }
  /// What `stats` prints.
  static func statistics<Reader: VectorReader<Self>>(
    of reader: Reader
  ) throws -> ElementStatistics
}

/// One that a compressed vector can have.
protocol CompressibleToolElement: ToolElement where Stored: PcoNumber {}

/// What is to be said of the elements of a vector; numbers as text, all digits.
struct ElementStatistics {
  let least: String?
  let greatest: String?
  let sum: String
  let mean: Double?
}

extension ToolElement where Self: VectorNumber {
  static func statistics<Reader: VectorReader<Self>>(
    of reader: Reader
  ) throws -> ElementStatistics {
    ElementStatistics(
      least: try reader.concurrentMin()?.description,
      greatest: try reader.concurrentMax()?.description,
      sum: try reader.concurrentSum().description, mean: try reader.concurrentMean())
  }
}

extension Bool: ToolElement {
  static var zero: Bool { false }

  var rounded: Double { self ? 1 : 0 }

  static func statistics<Reader: VectorReader<Bool>>(
    of reader: Reader
  ) throws -> ElementStatistics {
    let (count, trueCount) = (try reader.presentCount(), try reader.count(in: nil) { $0 })
    return ElementStatistics(
      least: count == 0 ? nil : "\(trueCount == count)",
      greatest: count == 0 ? nil : "\(trueCount > 0)",
      sum: "\(trueCount)", mean: count == 0 ? nil : Double(trueCount) / Double(count))
  }
}

extension UInt8: CompressibleToolElement {}
extension UInt16: CompressibleToolElement {}
extension UInt32: CompressibleToolElement {}
extension UInt64: CompressibleToolElement {}
extension UInt128: ToolElement {}
extension Int8: CompressibleToolElement {}
extension Int16: CompressibleToolElement {}
extension Int32: CompressibleToolElement {}
extension Int64: CompressibleToolElement {}
extension Int128: ToolElement {}
extension Float: CompressibleToolElement {}
extension Double: CompressibleToolElement {}
#if !(os(macOS) && arch(x86_64))
  extension Float16: CompressibleToolElement {}
#endif

/// The types of elements by the tags that the file has for them.
enum ToolElements {
  static let all: [any ToolElement.Type] = {
    var types: [any ToolElement.Type] = [
      UInt8.self, UInt16.self, UInt32.self, UInt64.self, UInt128.self, Int8.self, Int16.self,
      Int32.self, Int64.self, Int128.self, Float.self, Double.self, Bool.self,
    ]
    #if !(os(macOS) && arch(x86_64))
      types.append(Float16.self)
    #endif
    return types
  }()

  static let tags: [String] = all.map { $0.elementTag }

  static func type(ofTag tag: String) throws(Failure) -> any ToolElement.Type {
    guard let type = all.first(where: { $0.elementTag == tag }) else {
      throw .other("elements of type \(singleLine(tag)) can't be shown or changed as text")
    }
    return type
  }
}
