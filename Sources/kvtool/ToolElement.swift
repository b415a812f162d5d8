import Vectors

/// An element of a vector that the tool shows and takes as text.
protocol ToolElement: VectorElement, LosslessStringConvertible {
  /// What stands beneath a hole that is imported.
  static var zero: Self { get }
  /// The element as a number, rounded; for histograms.
  var rounded: Double { get }
  /// What `stats` prints.
  static func statistics(of reader: RawVectorReader<Self>) -> ElementStatistics
}

/// What is to be said of the elements of a vector; numbers as text, all digits.
struct ElementStatistics {
  let least: String?
  let greatest: String?
  let sum: String
  let mean: Double?
}

extension ToolElement where Self: VectorNumber {
  static func statistics(of reader: RawVectorReader<Self>) -> ElementStatistics {
    ElementStatistics(
      least: reader.concurrentMin()?.description, greatest: reader.concurrentMax()?.description,
      sum: reader.concurrentSum().description, mean: reader.concurrentMean())
  }
}

extension Bool: ToolElement {
  static var zero: Bool { false }

  var rounded: Double { self ? 1 : 0 }

  static func statistics(of reader: RawVectorReader<Bool>) -> ElementStatistics {
    let (count, trueCount) = (reader.presentCount(), reader.count { $0 })
    return ElementStatistics(
      least: count == 0 ? nil : "\(trueCount == count)",
      greatest: count == 0 ? nil : "\(trueCount > 0)",
      sum: "\(trueCount)", mean: count == 0 ? nil : Double(trueCount) / Double(count))
  }
}

extension UInt8: ToolElement {}
extension UInt16: ToolElement {}
extension UInt32: ToolElement {}
extension UInt64: ToolElement {}
extension UInt128: ToolElement {}
extension Int8: ToolElement {}
extension Int16: ToolElement {}
extension Int32: ToolElement {}
extension Int64: ToolElement {}
extension Int128: ToolElement {}
extension Float: ToolElement {}
extension Double: ToolElement {}
#if !(os(macOS) && arch(x86_64))
  extension Float16: ToolElement {}
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
